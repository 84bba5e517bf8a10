// @ts-check
/** Heat maps: from the grey PNG of the service to a coloured layer. */

const SIDE = 512;
const VISIBLE = 26;
const STOPS = [0, 0.1, 0.5, 1];
const LAYERS = [
  [255, 225, 60, 0],
  [255, 215, 50, 40],
  [255, 120, 0, 140],
  [215, 0, 35, 190],
];

/** Red, green, blue and opacity of the 256 levels, as adacl.heatmap has them. */
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
 * @param {number} gain What its levels are multiplied by.
 * @returns {boolean} Whether any colour is to be seen.
 */
export function paint(canvas, grey, gain) {
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
  let hot = false;
  for (let i = 0; i < pixels.data.length; i += 4) {
    const level = Math.min(255, Math.round(pixels.data[i] * gain));
    hot ||= level >= VISIBLE;
    pixels.data.set(TABLE[level], i);
  }
  context.putImageData(pixels, 0, 0);
  return hot;
}
