"use strict";
// The page is there in both languages; the switch shows one of them.
(() => {
  const buttons = [...document.querySelectorAll("button[data-language]")];
  const show = (language) => {
    document.documentElement.lang = language;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.language === language));
    document.dispatchEvent(new Event("languagechange"));
  };
  for (const button of buttons) button.addEventListener("click", () => show(button.dataset.language));
  show(navigator.language.startsWith("ko") ? "ko" : "en");
})();
