// Exchanges the token of a sign-in link for a session; the token leaves the address at once.
// @ts-check

const form = /** @type {HTMLFormElement} */ (document.getElementById("sign-in"));
const fault = /** @type {HTMLElement} */ (form.querySelector(".fault"));

/** Where to go afterwards: a page of ours, never another site. */
function next() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "/";
  const url = new URL(wanted, location.origin);
  return url.origin === location.origin ? url.pathname + url.search : "/";
}

/** @param {string} token */
async function signIn(token) {
  fault.hidden = true;
  try {
    const answer = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    if (answer.ok) {
      location.replace(next());
      return;
    }
    fault.textContent = "That token does not open this door. Run muster open for a fresh link.";
  } catch {
    fault.textContent = "The server did not answer. Is muster running?";
  }
  fault.hidden = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(String(new FormData(form).get("token")).trim());
});
const given = decodeURIComponent(location.hash.slice(1));
if (given) {
  history.replaceState(null, "", location.pathname + location.search);
  signIn(given);
}
