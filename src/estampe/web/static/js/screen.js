// A server's screen: noVNC over the daemon's WebSocket.
import RFB from "../vendor/novnc/core/rfb.js";
import { Terminal } from "./terminal.js";

const root = document.querySelector("[data-terminal]");
if (root !== null) begin(root);

function begin(root) {
  let rfb = null;
  let isScaled = true;

  const scale = () => {
    terminal.button("scale").setAttribute("aria-pressed", String(isScaled));
    root.classList.toggle("is-scaled", isScaled);
    if (rfb !== null) rfb.scaleViewport = isScaled;
  };
  const terminal = new Terminal(root, {
    open: (socket) => {
      terminal.view.replaceChildren();
      rfb = new RFB(terminal.view, socket);
      rfb.background = "";
      rfb.addEventListener("connect", () => {
        terminal.view.querySelector("canvas").setAttribute("aria-label", root.getAttribute("aria-label"));
        terminal.button("ctrl-alt-del").disabled = false;
        rfb.focus();
      });
      scale();
    },
    ended: () => { terminal.button("ctrl-alt-del").disabled = true; },
  });
  terminal.on("ctrl-alt-del", () => { rfb.sendCtrlAltDel(); rfb.focus(); });
  terminal.on("scale", () => { isScaled = !isScaled; scale(); });
  terminal.connect();
}
