// @ts-check
// The appearance chosen last, before anything is drawn.
document.documentElement.dataset.theme = localStorage.getItem("adacl-theme") ?? "";
