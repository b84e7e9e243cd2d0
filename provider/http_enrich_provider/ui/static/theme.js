"use strict";

// Airflow marks the root of its own page, in which this one is shown, with the class "dark".
// On its own, this page does what the browser prefers.
(() => {
  const preferred = window.matchMedia("(prefers-color-scheme: dark)");

  const airflow = () => {
    try {
      return window.parent === window ? null : window.parent.document.documentElement;
    } catch {
      return null; // a page of another origin has us in a frame
    }
  };

  const isDark = () => {
    const root = airflow();
    const marked = root && (root.classList.contains("dark") || root.classList.contains("light"));
    return marked ? root.classList.contains("dark") : preferred.matches;
  };

  const apply = () => {
    const theme = isDark() ? "dark" : "light";
    if (document.documentElement.dataset.theme === theme) return;
    document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("theme"));
  };

  apply();
  preferred.addEventListener("change", apply);
  const root = airflow();
  if (root) new MutationObserver(apply).observe(root, { attributeFilter: ["class"] });
})();
