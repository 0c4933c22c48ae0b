// The server writes times in UTC; the reader's own zone is known here only.
export function localTimes(root) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  for (const element of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.valueOf())) continue;
    element.title = element.textContent;
    element.textContent = format.format(at);
    element.dataset.local = "";
  }
}
