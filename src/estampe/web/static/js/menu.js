// A menu closes when something else is chosen, and with Escape, which gives the focus back.
export function menus(root) {
  const opened = () => root.querySelectorAll("details.menu[open]");
  root.addEventListener("click", (event) => {
    for (const menu of opened()) if (!menu.contains(event.target)) menu.open = false;
  });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of opened()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}
