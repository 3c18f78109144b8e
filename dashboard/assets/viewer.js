// Original and heatmap side by side at one scale: zoom and pan move both, sliders and toggles never move anything else.
// Everything happens in the browser; the maps of all classes are already here, and `heatUrl` of heat.js draws one.
const MAX_ZOOM = 8;

export default function ({ data, parentElement }) {
  const $ = (selector) => parentElement.querySelector(selector);
  const viewer = $(".viewer");
  const frames = [...parentElement.querySelectorAll(".frame")];
  // Streamlit calls this function again whenever the data change; the reader's view outlives that while the image stays.
  const kept = viewer.view && viewer.view.image === data.image ? viewer.view : null;
  const view = kept || { image: data.image, zoom: 1, x: 0, y: 0, opacity: 60, isShown: true, dx: data.dx, method: 0, isPrepared: false };
  viewer.view = view;
  if (view.offered !== data.methods.length) view.method = kept ? data.methods.length - 1 : 0;
  view.offered = data.methods.length;
  const shownMethod = () => data.methods[view.method];
  const isBare = data.methods.length === 0; // an image that has no heatmap yet

  function fill() {
    viewer.classList.toggle("bare", isBare);
    viewer.classList.toggle("alone", isBare && !data.prepared);
    for (const frame of frames) frame.style.aspectRatio = `${data.width} / ${data.height}`;
    viewer.style.setProperty("--ratio", data.width / data.height);
    for (const base of parentElement.querySelectorAll(".base")) {
      base.src = data.image;
      base.alt = data.alt;
    }
    $(".size").textContent = data.size;
    $(".prepared-pick").hidden = !data.prepared;
    if (data.prepared) layPrepared(data.prepared);
    $(".dx").replaceChildren(...data.classes.map(({ dx, name }) => new Option(`${name} (${dx})`, dx)));
    $(".method").replaceChildren(...data.methods.map(({ name }, index) => new Option(name, index)));
    $(".method-pick").hidden = data.methods.length < 2;
    $(".ramp").style.background = `linear-gradient(to right, ${data.ramp.map((one) => `rgb(${one.join(" ")})`).join(", ")})`;
    $(".opacity-range").value = view.opacity;
  }

  // Where on the image the network was shown it, in shares of the frame; it zooms about the frame's corner as all do.
  function layPrepared({ url, alt, left, top, width, height }) {
    const picture = $(".prepared");
    [picture.src, picture.alt] = [url, alt];
    const percent = (share) => `${share * 100}%`;
    Object.assign(picture.style, {
      inset: `${percent(top)} auto auto ${percent(left)}`,
      width: percent(width),
      height: percent(height),
      transformOrigin: `${percent(-left / width)} ${percent(-top / height)}`,
    });
  }

  function drawPanel() {
    const isPrepared = Boolean(data.prepared) && (isBare || view.isPrepared);
    const frame = $("[data-panel=heatmap]");
    $(".prepared").hidden = !isPrepared;
    frame.querySelector(".base").style.visibility = isPrepared ? "hidden" : "visible";
    $(".as-prepared").checked = view.isPrepared;
    $(".panel").textContent = isPrepared ? "As the network sees it" : "Heatmap";
    frame.ariaLabel = `${$(".panel").textContent}; arrow keys move it when zoomed`;
    if (isPrepared) $(".note").textContent = data.prepared.note;
    return isPrepared;
  }

  function draw() {
    const isPrepared = drawPanel();
    if (isBare) return;
    if (!(view.dx in shownMethod().maps)) view.dx = Object.keys(shownMethod().maps)[0];
    const map = shownMethod().maps[view.dx];
    const heat = $(".heat");
    for (const option of $(".dx").options) option.disabled = !(option.value in shownMethod().maps);
    $(".dx").value = view.dx;
    $(".method").value = view.method;
    map.url ??= heatUrl(map.levels, shownMethod().layer, data.ramp);
    heat.src = map.url;
    heat.alt = map.alt;
    heat.style.opacity = view.isShown ? view.opacity / 100 : 0;
    $(".none").hidden = map.hasEvidence;
    $(".shown").textContent = isPrepared && !view.isShown ? "" : `${view.dx}, ${shownMethod().name}`;
    if (!isPrepared || view.isShown) $(".note").textContent = map.note;
    $(".flip").textContent = view.isShown ? "Hide heatmap" : "Show heatmap";
  }

  function place() {
    for (const frame of frames) {
      const { width, height } = frame.getBoundingClientRect();
      view.x = Math.min(0, Math.max(view.x, 1 - view.zoom));
      view.y = Math.min(0, Math.max(view.y, 1 - view.zoom));
      const transform = `translate(${view.x * width}px, ${view.y * height}px) scale(${view.zoom})`;
      for (const image of frame.querySelectorAll("img")) image.style.transform = transform;
      frame.classList.toggle("zoomed", view.zoom > 1);
    }
    const zoom = `${Math.round(view.zoom * 10) / 10}\u00d7`;
    $(".reset").textContent = zoom;
    $(".reset").ariaLabel = `${zoom}, fit image`;
  }

  // x and y are shares of the frame; the point under them stays where it is.
  function zoomAt(factor, x = 0.5, y = 0.5) {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, view.zoom * factor));
    view.x = x - ((x - view.x) * zoom) / view.zoom;
    view.y = y - ((y - view.y) * zoom) / view.zoom;
    view.zoom = zoom;
    place();
  }

  const shareOf = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const pointers = new Map();
  const spread = () => {
    const [first, second] = [...pointers.values()];
    return Math.hypot(first[0] - second[0], first[1] - second[1]);
  };

  for (const frame of frames) {
    frame.onwheel = (event) => {
      if (!event.ctrlKey) return; // a plain wheel scrolls the page; Ctrl+wheel is also what a pinch on a touchpad sends
      event.preventDefault();
      zoomAt(Math.exp(-event.deltaY / 200), ...shareOf(event));
    };
    frame.ondblclick = (event) => zoomAt(2, ...shareOf(event));
    frame.onpointerdown = (event) => pointers.set(event.pointerId, shareOf(event));
    frame.onpointerup = frame.onpointercancel = frame.onpointerleave = (event) => pointers.delete(event.pointerId);
    frame.onpointermove = (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      const now = shareOf(event);
      if (pointers.size === 2) {
        const before = spread();
        pointers.set(event.pointerId, now);
        if (before > 0) zoomAt(spread() / before, ...now);
        return;
      }
      pointers.set(event.pointerId, now);
      if (view.zoom === 1) return;
      view.x += now[0] - last[0];
      view.y += now[1] - last[1];
      place();
    };
  }

  const panBy = (x, y) => () => {
    view.x += x;
    view.y += y;
    place();
  };
  const arrows = {
    ArrowLeft: panBy(0.1, 0),
    ArrowRight: panBy(-0.1, 0),
    ArrowUp: panBy(0, 0.1),
    ArrowDown: panBy(0, -0.1),
  };
  for (const frame of frames) {
    frame.onkeydown = (event) => {
      if (view.zoom === 1 || !arrows[event.key]) return;
      event.preventDefault();
      arrows[event.key]();
    };
  }

  const flip = () => {
    view.isShown = !view.isShown;
    draw();
  };
  const fit = () => zoomAt(1 / view.zoom);
  $(".flip").onclick = flip;
  // It is looked at by itself first; the heatmap may be laid over it as well.
  $(".as-prepared").onchange = (event) => {
    view.isPrepared = event.target.checked;
    view.isShown = !view.isPrepared;
    draw();
  };
  $(".in").onclick = () => zoomAt(1.5);
  $(".out").onclick = () => zoomAt(1 / 1.5);
  $(".reset").onclick = fit;
  $(".dx").onchange = (event) => {
    view.dx = event.target.value;
    draw();
  };
  $(".method").onchange = (event) => {
    view.method = Number(event.target.value);
    draw();
  };
  $(".opacity-range").oninput = (event) => {
    view.opacity = Number(event.target.value);
    view.isShown = true;
    draw();
  };

  const keys = { h: flip, "+": () => zoomAt(1.5), "-": () => zoomAt(1 / 1.5), 0: fit };
  const onKey = (event) => {
    const target = event.composedPath()[0];
    const isTyping = target.matches?.("textarea, select, input:not([type=range]):not([type=checkbox])");
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
    const action = keys[event.key.toLowerCase()];
    if (action) action();
  };
  document.addEventListener("keydown", onKey);
  const resized = new ResizeObserver(place);
  resized.observe(frames[0]);

  fill();
  draw();
  place();
  return () => {
    document.removeEventListener("keydown", onKey);
    resized.disconnect();
  };
}
