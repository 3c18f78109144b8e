// The phone's own camera at its full size: what it takes is handed to Streamlit's uploader, as if it had been picked there.
export default function ({ data, parentElement }) {
  const input = parentElement.querySelector("input");
  const status = parentElement.querySelector(".status");
  parentElement.querySelector(".label").textContent = data.label;
  status.textContent = ""; // called again when a photo has arrived
  input.onchange = () => {
    const uploader = document.querySelector(data.uploader);
    if (!uploader || input.files.length === 0) return;
    const photos = new DataTransfer();
    for (const file of input.files) photos.items.add(file);
    uploader.files = photos.files;
    uploader.dispatchEvent(new Event("change", { bubbles: true }));
    status.textContent = data.sending;
    input.value = "";
  };
}
