"use strict";
(function () {
  // What goes on is asked for again while somebody looks.
  document.querySelectorAll("[data-live]").forEach(function (place) {
    setInterval(function () {
      if (document.hidden || place.contains(document.activeElement)) return;
      fetch(place.dataset.live, { credentials: "same-origin" }).then(function (answer) {
        return answer.ok ? answer.text() : null;
      }).then(function (text) {
        if (text !== null && text !== place.dataset.last) { place.dataset.last = text; place.innerHTML = text; }
      }).catch(function () { /* the next time may do */ });
    }, 2000);
  });
  // "/" goes to the search, as in many programs.
  addEventListener("keydown", function (event) {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
    var link = document.querySelector('nav a[href$="/search"]');
    if (link) { event.preventDefault(); link.click(); }
  });
})();
