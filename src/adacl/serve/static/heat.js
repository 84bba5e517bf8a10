// @ts-check
/** Heat maps: from the grey PNG of the service to a coloured layer. */

const SIDE = 512;
const VISIBLE = 26;
const STOPS = [0, 0.25, 0.5, 1];
const LAYERS = [
  [255, 235, 60, 0],
  [255, 225, 50, 45],
  [255, 140, 0, 150],
  [220, 0, 40, 205],
];
const LINE = [255, 255, 255, 255];
const RIM = [30, 30, 30, 255];

/** Red, green, blue and opacity of the 256 levels, as adacl.explain.heatmap has them. */
export const TABLE = Array.from({ length: 256 }, (_, level) => {
  const at = level / 255;
  const next = Math.max(
    1,
    STOPS.findIndex((stop) => stop >= at),
  );
  const part = (at - STOPS[next - 1]) / (STOPS[next] - STOPS[next - 1]);
  return LAYERS[0].map((_, c) =>
    Math.round(LAYERS[next - 1][c] + part * (LAYERS[next][c] - LAYERS[next - 1][c])),
  );
});

/** @param {string} base64 A grey PNG. */
export function decode(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/png" }));
}

/**
 * Draw a map, smoothly enlarged, then coloured.
 * @param {HTMLCanvasElement} canvas
 * @param {ImageBitmap | null} grey None clears the canvas.
 * @param {number} limit Places of a higher level are outlined.
 * @returns {boolean} Whether any colour is to be seen.
 */
export function paint(canvas, grey, limit) {
  if (!grey) {
    canvas.width = canvas.height = 1;
    return false;
  }
  const scale = Math.max(1, SIDE / Math.max(grey.width, grey.height));
  canvas.width = Math.round(grey.width * scale);
  canvas.height = Math.round(grey.height * scale);
  const context = /** @type {CanvasRenderingContext2D} */ (
    canvas.getContext("2d", { willReadFrequently: true })
  );
  context.imageSmoothingQuality = "high";
  context.drawImage(grey, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const levels = Uint8Array.from({ length: canvas.width * canvas.height }, (_, i) => pixels.data[4 * i]);
  levels.forEach((level, i) => pixels.data.set(TABLE[level], 4 * i));
  const inside = levels.map((level) => Number(level > limit));
  const line = widened(inside, canvas.width);
  const rim = widened(line, canvas.width);
  rim.forEach((touched, i) => {
    if (touched && !inside[i]) pixels.data.set(line[i] ? LINE : RIM, 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  return levels.some((level) => level >= VISIBLE);
}

/**
 * Places, and all that are beside or above or below one.
 * @param {Uint8Array} places
 * @param {number} width
 */
const widened = (places, width) =>
  places.map((place, i) => {
    const column = i % width;
    return (
      place |
      (places[i - width] ?? 0) |
      (places[i + width] ?? 0) |
      (column ? places[i - 1] : 0) |
      (column < width - 1 ? places[i + 1] : 0)
    );
  });
