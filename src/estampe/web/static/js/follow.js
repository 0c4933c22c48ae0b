// An operation's page follows it by the API's own stream of events. The stream outlives a lost connection and a daemon that is
// started again: the browser connects anew by itself, and where it has given up, we do.
const LEAST_MS = 1000; // between two looks at the page
const AGAIN_MS = 3000; // before another try where the browser has given up

export function follow(root) {
  const found = root.matches?.("[data-follow]") ? [root] : root.querySelectorAll("[data-follow]");
  for (const element of found) {
    if (element.dataset.followed === undefined) begin(element);
  }
}

function begin(element) {
  element.dataset.followed = "";
  const lost = element.querySelector("[data-lost]");
  let source = null;
  let timer = null;
  let last = 0;

  const later = (wait) => {
    if (timer !== null) return;
    timer = setTimeout(() => {
      timer = null;
      last = performance.now();
      htmx.trigger(element, "changed");
    }, wait);
  };
  const changed = () => later(Math.max(0, last + LEAST_MS - performance.now()));
  const ended = () => {
    source.close();
    clearTimeout(timer);
    timer = -1; // nothing more is asked for
    htmx.trigger(element, "ended");
  };
  const connect = () => {
    if (!element.isConnected) return;
    source = new EventSource(element.dataset.follow);
    source.addEventListener("open", () => { lost.hidden = true; });
    source.addEventListener("changed", changed);
    source.addEventListener("ended", ended);
    source.addEventListener("error", () => {
      lost.hidden = false;
      if (source.readyState !== EventSource.CLOSED) return;
      changed(); // a session that has ended leads to the page to sign in
      setTimeout(connect, AGAIN_MS);
    });
  };
  connect();
  // Leaving the page ends its stream at once; a page that is shown again from the browser's memory begins anew.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
}
