// Tables are HTML of our own, in which a row's name is a button: what is pressed is told to the page. A click anywhere in
// its row presses it as well; who marks text to copy it presses nothing.
export default function ({ data, setTriggerValue }) {
  const onClick = (event) => {
    const button = event.target.closest?.("tr")?.querySelector("button.lens-row");
    if (!button || (!getSelection().isCollapsed && !button.contains(event.target))) return;
    const end = button.value.indexOf(" ");
    if (button.value.slice(0, end) === data.place) setTriggerValue("pressed", button.value.slice(end + 1));
  };
  document.addEventListener("click", onClick);
  document.body.classList.add("lens-listens"); // until then the mouse shows that the page is not ready
  return () => document.removeEventListener("click", onClick);
}
