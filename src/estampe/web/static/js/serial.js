// A server's serial console: what it says is drawn as text, so that it can be found, copied and read aloud; keys go to it.
import { Terminal } from "./terminal.js";
import { Vt } from "./vt.js";

const KEYS = {
  Enter: "\r", Backspace: "\x7f", Tab: "\t", Escape: "\x1b", Delete: "\x1b[3~", Insert: "\x1b[2~", Home: "\x1b[H", End: "\x1b[F",
  PageUp: "\x1b[5~", PageDown: "\x1b[6~", ArrowUp: "\x1b[A", ArrowDown: "\x1b[B", ArrowRight: "\x1b[C", ArrowLeft: "\x1b[D",
  F1: "\x1bOP", F2: "\x1bOQ", F3: "\x1bOR", F4: "\x1bOS", F5: "\x1b[15~", F6: "\x1b[17~", F7: "\x1b[18~", F8: "\x1b[19~",
  F9: "\x1b[20~", F10: "\x1b[21~", F11: "\x1b[23~", F12: "\x1b[24~",
};
const root = document.querySelector("[data-terminal]");
if (root !== null) begin(root);

function begin(root) {
  const encoder = new TextEncoder();
  const vt = new Vt();
  let socket = null;
  let isDrawing = false;

  const send = (text) => { if (socket?.readyState === WebSocket.OPEN) socket.send(encoder.encode(text)); };
  const draw = () => {
    isDrawing = false;
    const view = terminal.view;
    const isAtEnd = view.scrollTop + view.clientHeight >= view.scrollHeight - 4;
    for (const line of vt.takeLeft()) view.insertBefore(lineOf(line, -1), view.children[view.children.length - vt.rows] ?? null);
    while (view.children.length > vt.rows + Vt.MOST_LEFT) view.firstChild.remove();
    while (view.children.length < vt.rows) view.append(document.createElement("div"));
    const first = view.children.length - vt.rows;
    for (const row of vt.takeChanged()) view.children[first + row].replaceWith(lineOf(vt.grid[row], row === vt.row ? vt.column : -1));
    if (isAtEnd) view.scrollTop = view.scrollHeight;
  };
  const terminal = new Terminal(root, {
    open: (opened) => {
      socket = opened;
      terminal.button("take-over").hidden = true;
      socket.addEventListener("message", (event) => {
        const answer = vt.write(new Uint8Array(event.data));
        if (answer) send(answer);
        if (!isDrawing) { isDrawing = true; requestAnimationFrame(draw); }
      });
      socket.addEventListener("open", () => terminal.view.focus());
    },
    ended: () => { terminal.button("take-over").hidden = false; },
  });

  terminal.on("take-over", () => terminal.connect({ is_taken_over: "yes" }));
  terminal.view.addEventListener("keydown", (event) => {
    const text = textOf(event);
    if (text === null) return;
    event.preventDefault();
    send(text);
  });
  terminal.view.addEventListener("paste", (event) => {
    event.preventDefault();
    send(event.clipboardData.getData("text").replaceAll(/\r?\n/g, "\r"));
  });
  root.querySelector("[data-line]").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = event.target.elements.line;
    send(field.value + "\r");
    field.value = "";
  });
  draw();
  terminal.connect();
}

// What a key says to the server; null where it is the browser's: copying and pasting (Ctrl+Shift, or Cmd), and keys that only shift.
function textOf(event) {
  if (event.isComposing || event.metaKey || (event.ctrlKey && event.shiftKey)) return null;
  const told = KEYS[event.key] ?? (event.key.length === 1 ? event.key : null);
  if (told === null) return null;
  if (event.ctrlKey && !event.altKey && event.key.length === 1) {
    const code = event.key.toUpperCase().charCodeAt(0);
    return event.key === " " ? "\0" : code >= 0x40 && code < 0x60 ? String.fromCharCode(code - 0x40) : null;
  }
  return event.altKey && !event.ctrlKey ? "\x1b" + told : told;
}

// A line as an element: a span for each run of one style.
function lineOf(cells, cursor) {
  const line = document.createElement("div");
  let last = cells.length;
  while (last > 0 && cells[last - 1].text === " " && cells[last - 1].style === "" && last - 1 !== cursor) last--;
  for (let from = 0; from < last;) {
    let to = from + 1;
    while (to < last && from !== cursor && to !== cursor && cells[to].style === cells[from].style) to++;
    const run = document.createElement("span");
    run.className = cells[from].style + (from === cursor ? " is-cursor" : "");
    run.textContent = cells.slice(from, to).map((cell) => cell.text).join("");
    line.append(run);
    from = to;
  }
  if (last === 0) line.append("\n"); // an empty line has its height, and is one when it is copied
  return line;
}
