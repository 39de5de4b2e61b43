// Runs before the page is drawn, so that it never flashes in the other scheme.
"use strict";
try {
  const chosen = localStorage.getItem("runguard.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* a browser that keeps nothing follows its own scheme */ }
