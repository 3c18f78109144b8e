// A chart as a file, drawn by Plotly in the browser: the buttons under it press Plotly's own, which knows one format
// at a time. What the chart shows goes into the picture, and the page's background, or light text would stand on nothing.
const LINE = 17; // pixels
const CHARACTER = 6.6; // pixels, about

function lines(text, width) {
  const most = Math.max(20, Math.floor(width / CHARACTER));
  return text.split(" ").reduce((found, word) => {
    const last = found[found.length - 1];
    if (last !== undefined && last.length + word.length < most) found[found.length - 1] = `${last} ${word}`;
    else found.push(word);
    return found;
  }, []);
}

function save(place, format) {
  const graph = place.querySelector(".js-plotly-plot");
  const press = graph?.querySelector(".modebar-btn[data-title^='Download plot']");
  if (!press) return;
  const { layout, _fullLayout: full, _context: context } = graph;
  const said = lines(place.querySelector("[aria-label]")?.getAttribute("aria-label") ?? "", full.width - 24);
  const above = said.length * LINE + 20;
  const legend = full.showlegend ? (full.legend?._height ?? 0) : 0;
  const kept = { title: layout.title, margin: layout.margin, paper_bgcolor: layout.paper_bgcolor };
  const options = context.toImageButtonOptions;
  layout.title = {
    text: said.join("<br>"), x: 0, xref: "container", xanchor: "left", y: 1, yref: "container", yanchor: "top",
    pad: { t: 16, l: 8 }, font: { size: 13 },
  };
  layout.margin = { ...layout.margin, t: (layout.margin?.t ?? 0) + above + legend };
  layout.paper_bgcolor = getComputedStyle(document.querySelector(".stApp")).backgroundColor;
  context.toImageButtonOptions = {
    format, filename: [...place.classList].find((name) => name.startsWith("st-key-"))?.slice(7) ?? "chart",
    width: full.width, height: full.height + above, scale: format === "svg" ? 1 : 2,
  };
  // Plotly copies data and layout before it goes on to draw.
  press.click();
  Object.assign(layout, kept);
  context.toImageButtonOptions = options;
}

export default function () {
  const onClick = (event) => {
    const button = event.target.closest?.("button.lens-save");
    const [chart, format] = (button?.value ?? "").split(" ");
    const place = chart && document.querySelector(`.st-key-${CSS.escape(chart)}`);
    if (place) save(place, format);
  };
  document.addEventListener("click", onClick);
  return () => document.removeEventListener("click", onClick);
}
