"use strict";
(function () {
  var root = document.documentElement;
  var KEY = "prowess-theme";
  function stored() {
    try { return localStorage.getItem(KEY); } catch (error) { return null; }
  }
  function isDark() {
    var chosen = root.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }
  if (stored() === "dark" || stored() === "light") root.dataset.theme = stored();

  var button = document.getElementById("theme");
  function label() { button.textContent = isDark() ? "Light" : "Dark"; }
  button.hidden = false;
  label();
  button.addEventListener("click", function () {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem(KEY, root.dataset.theme); } catch (error) { /* private window: lasts as long as the page */ }
    label();
  });

  // A link to a trajectory opens it.
  function open() {
    var target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") target.open = true;
  }
  addEventListener("hashchange", open);
  open();

  // Paper cannot be clicked: everything but the trajectories is opened for print.
  addEventListener("beforeprint", function () {
    document.querySelectorAll("details.forprint").forEach(function (item) { item.open = true; });
  });
})();
