// Runs before the first paint: no wrong theme may flash, and the project is asked for while the modules are still on their way.
// Dark unless a person chose otherwise: the room of a restorer is dark.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("videocolor.theme");
  } catch {
    // No storage in this browser: the choice holds until the page is closed.
  }
  document.documentElement.dataset.theme = chosen === "light" || chosen === "system" ? chosen : "dark";
  window.earlyProject = fetch("/api/project", { credentials: "same-origin" }).then((answer) => (answer.ok ? answer.json() : null), () => null);
})();
