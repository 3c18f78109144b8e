// Keys of one character: each presses what it stands for, or, where the reader has switched them off, nothing hears them.
// Never while one types: a field keeps every key.
const FIELDS = "textarea, select, [contenteditable=true], input:not([type=range], [type=checkbox], [type=radio])";

export default function ({ data }) {
  const onKey = (event) => {
    const isTyping = event.composedPath()[0].matches?.(FIELDS);
    if (event.key.length !== 1 || event.key === " " || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
    // Streamlit and the viewers listen at the document, which this stops the key from reaching.
    if (!data.isOn) event.stopImmediatePropagation();
    else if (event.key in data.presses) {
      const [selector, index] = data.presses[event.key];
      document.querySelectorAll(selector)[index]?.click();
    }
  };
  window.addEventListener("keydown", onKey, true);
  return () => window.removeEventListener("keydown", onKey, true);
}
