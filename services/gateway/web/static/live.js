"use strict";
// Keeps the page's parts as the server draws them. Without script the page is a still of the moment it was loaded.
(() => {
  const main = document.getElementById("main");
  const connection = document.getElementById("connection");
  if (!main.dataset.stream) return;

  const say = (words) => {
    if (connection.textContent === words) return;
    connection.textContent = words;
    connection.dataset.state = words;
  };

  const draw = (parts) => {
    for (const [id, html] of Object.entries(parts)) {
      const part = document.getElementById(id);
      if (part.drawn === html) continue;
      const held = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      part.drawn = html;
      part.innerHTML = html;
      // Whoever walks the page by keyboard stays where they were.
      if (held) part.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus();
    }
  };

  const source = new EventSource(main.dataset.stream);
  source.addEventListener("open", () => say("live"));
  source.addEventListener("error", () => say("reconnecting"));
  source.addEventListener("parts", (event) => draw(JSON.parse(event.data)));
  source.addEventListener("end", () => {
    source.close();
    say("finished");
  });
})();
