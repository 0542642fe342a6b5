// For browsers that cannot even read the page's modules: they run this, which is as old as can be, and get a sentence.
addEventListener("load", function () {
  if (document.documentElement.getAttribute("data-loaded")) return;
  var notice = document.getElementById("notice");
  notice.textContent =
    "This page did not load in full: the browser is too old for it, or the connection broke. Load it again, in a current Chrome, Edge or Firefox.";
  notice.hidden = false;
});
