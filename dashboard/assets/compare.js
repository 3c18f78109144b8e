// Two visits of a lesion at one zoom. They move together, or one alone to line them up; the offset then stays.
const MAX_ZOOM = 8;
const SLACK = 0.5; // share of the frame by which an image may leave it, so that two can be lined up at any zoom

export default function ({ data, parentElement }) {
  const $ = (selector) => parentElement.querySelector(selector);
  const compare = $(".compare");
  const frames = [...parentElement.querySelectorAll(".frame")];
  // Streamlit calls this function again whenever the data change; the reader's view outlives that while the images stay.
  const shown = data.visits.map(({ image }) => image).join();
  const isKept = compare.view && compare.view.shown === shown;
  const view = isKept ? compare.view : { shown, zoom: 1, at: [[0, 0], [0, 0]] };
  compare.view = view;

  function fill() {
    frames.forEach((frame, index) => {
      const { image, alt, caption } = data.visits[index];
      frame.style.aspectRatio = "4 / 3"; // of dermoscopic images; another shape stands within it at the same scale
      frame.querySelector("img").src = image;
      frame.querySelector("img").alt = alt;
      frame.parentElement.querySelector("figcaption").textContent = caption;
    });
  }

  function place() {
    const within = (share) => Math.min(SLACK, Math.max(share, 1 - view.zoom - SLACK));
    frames.forEach((frame, index) => {
      view.at[index] = view.at[index].map(within);
      const { width, height } = frame.getBoundingClientRect();
      const [x, y] = view.at[index];
      frame.querySelector("img").style.transform = `translate(${x * width}px, ${y * height}px) scale(${view.zoom})`;
      frame.classList.toggle("zoomed", view.zoom > 1 || !$(".linked").checked);
    });
    const zoom = `${Math.round(view.zoom * 10) / 10}\u00d7`;
    $(".reset").textContent = zoom;
    $(".reset").ariaLabel = `${zoom}, fit images`;
  }

  // x and y are shares of a frame; the points under them stay where they are, in both images.
  function zoomAt(factor, x = 0.5, y = 0.5) {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, view.zoom * factor));
    view.at = view.at.map(([left, top]) => [
      x - ((x - left) * zoom) / view.zoom,
      y - ((y - top) * zoom) / view.zoom,
    ]);
    view.zoom = zoom;
    place();
  }

  function pan(index, x, y) {
    const isLinked = $(".linked").checked;
    view.at = view.at.map(([left, top], other) => (isLinked || other === index ? [left + x, top + y] : [left, top]));
    place();
  }

  function fit() {
    view.zoom = 1;
    view.at = [[0, 0], [0, 0]];
    place();
  }

  const keys = {
    "+": () => zoomAt(1.5),
    "-": () => zoomAt(1 / 1.5),
    0: fit,
    ArrowLeft: (index) => pan(index, 0.05, 0),
    ArrowRight: (index) => pan(index, -0.05, 0),
    ArrowUp: (index) => pan(index, 0, 0.05),
    ArrowDown: (index) => pan(index, 0, -0.05),
  };
  const shareOf = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const pointers = new Map();
  const spread = () => {
    const [first, second] = [...pointers.values()];
    return Math.hypot(first[0] - second[0], first[1] - second[1]);
  };

  frames.forEach((frame, index) => {
    frame.onwheel = (event) => {
      if (!event.ctrlKey) return; // a plain wheel scrolls the page; Ctrl+wheel is also what a pinch on a touchpad sends
      event.preventDefault();
      zoomAt(Math.exp(-event.deltaY / 200), ...shareOf(event));
    };
    frame.ondblclick = (event) => zoomAt(2, ...shareOf(event));
    frame.onpointerdown = (event) => {
      frame.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, shareOf(event));
    };
    frame.onpointerup = frame.onpointercancel = (event) => pointers.delete(event.pointerId);
    frame.onpointermove = (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      const now = shareOf(event);
      const before = pointers.size === 2 ? spread() : 0;
      pointers.set(event.pointerId, now);
      if (pointers.size === 2) {
        if (before > 0) zoomAt(spread() / before, ...now);
      } else if (frame.classList.contains("zoomed")) {
        pan(index, now[0] - last[0], now[1] - last[1]);
      }
    };
    frame.onkeydown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      event.preventDefault();
      event.stopPropagation(); // the heatmap viewer of the same page listens for + and - as well
      keys[event.key](index);
    };
  });

  $(".in").onclick = keys["+"];
  $(".out").onclick = keys["-"];
  $(".reset").onclick = fit;
  $(".linked").onchange = place;
  const resized = new ResizeObserver(place);
  resized.observe(frames[0]);

  fill();
  place();
  return () => resized.disconnect();
}
