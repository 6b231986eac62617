// Light or dark: the system's choice, or the one that was made here. It runs before anything is drawn, so that nothing flashes.
"use strict";

(() => {
  const KEPT = "recommender-theme";
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return localStorage.getItem(KEPT); // where storage is forbidden, this throws
    } catch {
      return null;
    }
  }

  function keep(theme) {
    try {
      localStorage.setItem(KEPT, theme);
    } catch {
      // then the choice lasts until the page is left
    }
  }

  function use(theme) {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (!button) return;
    button.textContent = theme === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `${button.textContent} colours`);
  }

  const now = () => chosen() ?? (system.matches ? "dark" : "light");

  use(now());
  system.addEventListener("change", () => use(now()));
  document.addEventListener("DOMContentLoaded", () => {
    use(root.dataset.theme);
    document.getElementById("theme").addEventListener("click", () => {
      const other = root.dataset.theme === "dark" ? "light" : "dark";
      keep(other);
      use(other);
    });
  });
})();
