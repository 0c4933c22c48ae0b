// What the screen and the serial console have in common: a ticket, the WebSocket that takes it, and what the page says of both.
// The ticket goes as a subprotocol: an address would be logged on the way.
export class Terminal {
  constructor(root, { open, ended }) {
    this.root = root;
    this.view = root.querySelector("[data-view]");
    this.open = open; // gets the socket before it is connected
    this.ended = ended;
    this.on("again", () => this.connect());
    this.on("full", () => this.full());
    // The one key that is not the server's, or nobody without a mouse could ever leave.
    this.root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !event.shiftKey || !this.view.contains(event.target)) return;
      event.preventDefault();
      event.stopPropagation();
      this.button("full").focus();
    }, true);
    addEventListener("pagehide", () => this.socket?.close());
    addEventListener("pageshow", (event) => { if (event.persisted) this.connect(); });
  }

  button(name) { return this.root.querySelector(`[data-act="${name}"]`); }

  on(name, act) { this.button(name).addEventListener("click", act); }

  say(name) {
    this.root.dataset.now = name;
    this.root.querySelector("[data-state]").textContent = this.root.querySelector(`[data-say="${name}"]`).textContent;
    this.button("again").hidden = name === "connecting" || name === "open";
  }

  async connect(wishes = {}) {
    this.say("connecting");
    this.root.querySelector("[data-problem]").hidden = true;
    let answer;
    let told;
    try {
      const body = new URLSearchParams({ csrf_token: this.root.dataset.csrf, ...wishes });
      answer = await fetch(this.root.dataset.ticket, { method: "POST", body, redirect: "manual" });
      if (answer.type === "opaqueredirect") { location.reload(); return; } // to the page to sign in, and back
      told = await answer.json();
    } catch {
      this.say("lost");
      return;
    }
    if (answer.ok) this.join(told.subprotocols);
    else this.problem(told);
  }

  join(subprotocols) {
    const address = new URL(this.root.dataset.socket, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = this.socket = new WebSocket(address, subprotocols);
    socket.binaryType = "arraybuffer";
    let wasOpen = false;
    socket.addEventListener("open", () => { wasOpen = true; this.say("open"); });
    socket.addEventListener("close", (event) => {
      this.ended();
      this.say(wasOpen ? this.reason(event.code) : "refused");
    });
    this.open(socket);
  }

  // The endings have their codes in the page: server-off, idle, ...
  reason(code) {
    const names = [...this.root.querySelectorAll("[data-say]")].map((each) => each.dataset.say);
    return names.find((name) => this.root.getAttribute(`data-${name}`) === String(code)) ?? "lost";
  }

  problem(told) {
    const shown = this.root.querySelector("[data-problem]");
    shown.querySelector("[data-title]").textContent = told.title;
    shown.querySelector("[data-what-next]").textContent = told.what_next;
    shown.querySelector("[data-detail]").textContent = told.detail;
    shown.hidden = false;
    this.say("problem");
  }

  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.();
  }
}
