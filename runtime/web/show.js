// Small things that both tabs show with.

/** Outlines that tell the verdicts apart without colour: a tick, a cross, a question mark, dots. */
export const SIGNS = {
  pass: "M10 34 26 50 55 16",
  reject: "M14 14 50 50M50 14 14 50",
  problem: "M22 22a10 10 0 1 1 14 9c-3 2-4 4-4 8M32 50v2",
  busy: "M14 32h1M32 32h1M50 32h1",
  idle: "M32 14v18l12 8",
};

/** Let files be dropped onto an element. */
export function droppable(element, take) {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  });
}

/** A canvas with the picture at `side` droppable, so that hundreds of thumbnails stay small; null for no picture. */
export async function thumbnail(blob, side = 112) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { resizeHeight: side, resizeQuality: "medium" });
  } catch {
    return null;    // the browser cannot show it; whether it is a picture is for the server to say
  }
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas;
}
