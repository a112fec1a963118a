// Begins: the token leaves the address bar, since the cookie has taken its place, and the server is listened to.
import "./detail.js";
import "./tabs.js";
import { byId, write } from "./dom.js";
import { connect, listen, store } from "./store.js";

history.replaceState(null, "", location.pathname + location.hash);
listen(() => {
  const live = byId("live");
  live.className = store.live ? "live on" : "live off";
  write(live, store.live ? "live" : "no connection: is `anyjob dashboard` running?");
  byId("trouble").hidden = !store.trouble;
  write(byId("trouble"), store.trouble);
});
connect();
