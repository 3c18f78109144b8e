// Takes the reader to what a step has brought: into view, and with the keyboard focus in it.
// Streamlit replaces the page piece by piece, so the place is held until the page has come to rest or the reader acts.
const REST = 1500; // milliseconds without a change of place
const LOOK = 50; // milliseconds between two looks
const AIR = 8; // pixels between the region and the edge of the view
const ACTS = ["wheel", "touchmove", "pointerdown", "keydown"];

// Steps, of the page and not of the element: Streamlit makes it anew, and the one before speaks once more as it goes.
const taken = new Set([""]);
let release = () => {};

export default function ({ data }) {
  if (taken.has(data.step)) return;
  taken.add(data.step);
  release();
  if (data.regions.length === 0) return;
  // A heading that stands in the address is scrolled to by Streamlit whenever it is drawn.
  if (location.hash) history.replaceState(history.state, "", location.pathname + location.search);
  release = hold(data);
}

function hold({ regions, names }) {
  let place = "";
  let since = Date.now();
  const end = () => {
    clearInterval(timer);
    for (const act of ACTS) document.removeEventListener(act, end, true);
  };
  const look = () => {
    const key = regions.find((key) => document.querySelector(`.st-key-${key}`));
    if (!key) return;
    const region = document.querySelector(`.st-key-${key}`);
    // Once at first, and again where Streamlit took the region away and drew it anew.
    if (place === "" || [null, document.body].includes(document.activeElement)) focus(region, names[key]);
    show(region);
    const { top, height } = region.getBoundingClientRect();
    if (place !== `${top} ${height}` || isBeingDrawn()) since = Date.now();
    place = `${top} ${height}`;
    if (Date.now() - since > REST) end();
  };
  const timer = setInterval(look, LOOK);
  for (const act of ACTS) document.addEventListener(act, end, { capture: true, passive: true });
  look();
  return end;
}

function isBeingDrawn() {
  const state = document.querySelector("[data-testid=stApp]")?.dataset.testScriptState ?? "notRunning";
  return state !== "notRunning";
}

function focus(region, name) {
  region.tabIndex = -1;
  if (name) {
    region.setAttribute("role", "region");
    region.setAttribute("aria-label", name);
  }
  region.focus({ preventScroll: true });
}

// From the top of the page as far down as the region needs to be seen whole; its own top where it is too tall for that.
function show(region) {
  const main = region.closest("[data-testid=stMain]");
  const header = document.querySelector("[data-testid=stHeader]")?.getBoundingClientRect().bottom ?? 0;
  const { top, bottom } = region.getBoundingClientRect();
  const end = main.getBoundingClientRect().bottom;
  const down = Math.min(bottom - end + AIR, top - Math.max(header, 0) - AIR);
  const wanted = Math.max(0, main.scrollTop + down);
  if (Math.abs(main.scrollTop - wanted) > 1) main.scrollTop = wanted;
}
