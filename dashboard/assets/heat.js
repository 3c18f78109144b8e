// A heatmap of network resolution as a picture to lay over its image. The same filter, box and turn as `to_image_pixels`
// in model/images/framing.py, with which a test compares it; drawn here, no picture is made for a class nobody looks at.
const CUBIC = -0.5; // the parameter of Pillow's bicubic filter

function cubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * CUBIC : 0;
}

// For each of `count` pixels between the places `from` and `to` of a row of cells: the first cell that it takes of, and
// how much of that one and the next ones.
function shares(cells, from, to, count) {
  const step = (to - from) / count;
  const stretch = Math.max(step, 1);
  return Array.from({ length: count }, (_, pixel) => {
    const centre = from + (pixel + 0.5) * step;
    const first = Math.max(Math.trunc(centre - 2 * stretch + 0.5), 0);
    const end = Math.min(Math.trunc(centre + 2 * stretch + 0.5), cells);
    const taken = [];
    for (let cell = first; cell < end; cell++) taken.push(cubic((cell - centre + 0.5) / stretch));
    const sum = taken.reduce((one, other) => one + other, 0);
    return { first, taken: taken.map((one) => one / sum) };
  });
}

// Values from 0 to 255 of every pixel of the image, row by row; 0 where the network saw nothing.
function evidence(levels, layer) {
  const { rows, columns, width, height, isTurned, box } = layer;
  const [across, down] = isTurned ? [height, width] : [width, height];
  const [left, top] = [Math.max(box.left, 0), Math.max(box.top, 0)];
  const [right, bottom] = [Math.min(box.left + box.width, across), Math.min(box.top + box.height, down)];
  const cell = (place, start, size, cells) => ((place - start) * cells) / size;
  const inColumns = shares(
    columns,
    cell(left, box.left, box.width, columns),
    cell(right, box.left, box.width, columns),
    right - left,
  );
  const inRows = shares(
    rows,
    cell(top, box.top, box.height, rows),
    cell(bottom, box.top, box.height, rows),
    bottom - top,
  );
  const widened = new Float64Array(rows * (right - left));
  for (let row = 0; row < rows; row++) {
    inColumns.forEach(({ first, taken }, x) => {
      taken.forEach((share, index) => (widened[row * (right - left) + x] += share * levels[row * columns + first + index]));
    });
  }
  const values = new Float64Array(width * height);
  inRows.forEach(({ first, taken }, y) => {
    for (let x = 0; x < right - left; x++) {
      let value = 0;
      taken.forEach((share, index) => (value += share * widened[(first + index) * (right - left) + x]));
      const [column, row] = [left + x, top + y];
      values[isTurned ? column * width + (width - 1 - row) : row * width + column] = Math.min(Math.max(value, 0), 255);
    }
  });
  return values;
}

// The picture as an address for <img>: coloured by `ramp`, as opaque as there is evidence.
function heatUrl(encoded, layer, ramp) {
  const levels = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [layer.width, layer.height];
  const context = canvas.getContext("2d");
  const picture = context.createImageData(layer.width, layer.height);
  evidence(levels, layer).forEach((value, pixel) => {
    const level = Math.round(value);
    const place = (level / 255) * (ramp.length - 1);
    const [lower, upper] = [ramp[Math.floor(place)], ramp[Math.ceil(place)]];
    const share = place - Math.floor(place);
    lower.forEach((one, channel) => {
      picture.data[4 * pixel + channel] = Math.round(one + (upper[channel] - one) * share);
    });
    picture.data[4 * pixel + 3] = level;
  });
  context.putImageData(picture, 0, 0);
  return canvas.toDataURL();
}

