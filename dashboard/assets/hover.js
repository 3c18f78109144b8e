// Which point of a chart the pointer rests on: told to the page, which shows its image beside the chart. Plotly's own
// hover holds text alone. A finger does not hover: it taps, which opens the image.
const REST = 150; // milliseconds on one point
const LOOK = 300; // milliseconds between two looks for the chart, which Streamlit may draw anew

export default function ({ data, setStateValue }) {
  let graph;
  let rest;
  const onHover = ({ points }) => {
    clearTimeout(rest);
    const point = [points[0]?.customdata].flat()[0];
    if (typeof point === "string") rest = setTimeout(() => setStateValue("point", point), REST);
  };
  const onLeave = () => clearTimeout(rest);
  const look = () => {
    const found = document.querySelector(`.st-key-${CSS.escape(data.chart)} .js-plotly-plot`);
    if (!found?.on || found === graph) return;
    graph = found;
    graph.on("plotly_hover", onHover);
    graph.on("plotly_unhover", onLeave);
  };
  const timer = setInterval(look, LOOK);
  look();
  return () => {
    clearInterval(timer);
    clearTimeout(rest);
    graph?.removeListener?.("plotly_hover", onHover);
    graph?.removeListener?.("plotly_unhover", onLeave);
  };
}
