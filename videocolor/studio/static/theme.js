// Runs before the first paint, so that no wrong theme flashes. Dark unless a person chose otherwise: the room of a restorer is dark.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("videocolor.theme");
  } catch {
    // No storage in this browser: the choice holds until the page is closed.
  }
  document.documentElement.dataset.theme = chosen === "light" || chosen === "system" ? chosen : "dark";
})();
