// A table of images: one can be opened, and where that is wanted, rows are ticked. Texts come as text, never as markup.
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const table = parentElement.querySelector("table");
  const head = table.querySelector("thead tr");
  const body = table.querySelector("tbody");
  const rows = new Set(data.rows.map(({ id }) => id));
  // Streamlit calls this function again whenever the data change; ticks outlive that while their rows stay.
  const ticked = new Set([...(table.ticked ?? [])].filter((id) => rows.has(id)));
  table.ticked = ticked;

  function element(name, { text, className, ...properties } = {}) {
    const made = Object.assign(document.createElement(name), properties);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function checkbox(label, isChecked, change) {
    const input = element("input", { type: "checkbox", checked: isChecked, ariaLabel: label });
    input.addEventListener("change", () => change(input.checked));
    const around = element("label");
    around.append(input);
    return around;
  }

  function tell() {
    setStateValue("ticked", [...ticked]);
  }

  function tick(id, isTicked) {
    isTicked ? ticked.add(id) : ticked.delete(id);
    head.querySelector("input").checked = ticked.size === rows.size;
    tell();
  }

  function tickAll(isTicked) {
    rows.forEach((id) => (isTicked ? ticked.add(id) : ticked.delete(id)));
    body.querySelectorAll("input").forEach((input) => (input.checked = isTicked));
    tell();
  }

  function cell(column, { lines, isMarked }, index) {
    const made = index ? element("td") : element("th", { scope: "row" });
    made.className = column.className;
    lines.forEach((line, number) => {
      const isLast = number === lines.length - 1;
      const className = number ? `more${isMarked && isLast ? " marked" : ""}` : isMarked && isLast ? "marked" : "first";
      made.append(element("span", { text: line, className }));
    });
    return made;
  }

  function picture({ id, label, image, note }) {
    const made = element("td", { className: "picture" });
    if (data.openLabel) {
      const button = element("button", { type: "button", ariaLabel: `${data.openLabel} ${label}`, title: `${data.openLabel} ${label}` });
      button.addEventListener("click", () => setTriggerValue("opened", id));
      button.append(image ? element("img", { src: image, alt: "" }) : element("span", { text: note }));
      made.append(button);
    }
    return made;
  }

  function drawn(row) {
    const made = element("tr");
    if (data.isTickable) {
      const around = element("td", { className: "tick" });
      around.append(checkbox(`Select ${row.label}`, ticked.has(row.id), (isTicked) => tick(row.id, isTicked)));
      made.append(around);
    }
    made.append(picture(row), ...row.cells.map((one, index) => cell(data.columns[index], one, index)));
    return made;
  }

  function heading() {
    const cells = data.columns.map(({ name, className, help }) => element("th", { scope: "col", text: name, className, title: help }));
    cells.unshift(element("th", { scope: "col", className: "picture", text: data.openLabel }));
    if (data.isTickable) {
      const all = element("th", { scope: "col", className: "tick" });
      all.append(checkbox("Select all rows", rows.size > 0 && ticked.size === rows.size, tickAll));
      cells.unshift(all);
    }
    return cells;
  }

  table.querySelector("caption").textContent = data.caption;
  const focused = parentElement.getRootNode().activeElement?.ariaLabel;
  head.replaceChildren(...heading());
  body.replaceChildren(...data.rows.map(drawn));
  // Drawn anew under the reader's hands: the focus stays on what it was on.
  if (focused) [...table.querySelectorAll("input, button")].find(({ ariaLabel }) => ariaLabel === focused)?.focus();
}
