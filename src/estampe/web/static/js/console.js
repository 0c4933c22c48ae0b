// What pages gain where scripts run. Without them everything still works: forms are forms, links are links.
import { localTimes } from "./time.js";
import { follow } from "./follow.js";
import { menus } from "./menu.js";

function enhance(root) {
  localTimes(root);
  follow(root);
}

enhance(document);
menus(document);
document.addEventListener("htmx:load", (event) => enhance(event.detail.elt));
