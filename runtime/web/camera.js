// The camera beside the picture button.

import { say, t } from "./i18n.js";

const at = (id) => document.getElementById(id);

/** Wire the camera's buttons; `shot(file)` gets each picture taken. */
export function startCamera({ alert, shot }) {
  let stream = null;

  async function on() {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
    } catch (error) {
      alert(t("camera_failed", { why: error.message || error.name }));
      return;
    }
    at("video").srcObject = stream;
    await at("video").play();
    show(true);
  }

  function off() {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    at("video").srcObject = null;
    show(false);
  }

  function show(live) {
    at("video").hidden = !live;
    at("shoot").hidden = !live;
    say(at("camera"), live ? "camera_off" : "camera_on");
  }

  function take() {
    const video = at("video");
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => shot(new File([blob], `camera-${Date.now()}.jpg`, { type: "image/jpeg" })), "image/jpeg", 0.95);
  }

  at("shoot").addEventListener("click", take);
  at("camera").addEventListener("click", () => {
    if (!navigator.mediaDevices?.getUserMedia) alert(t("no_camera"));
    else if (stream) off();
    else on();
  });
}
