// The player as a widget: what travels between it and Python, and what becomes of Python.
//
// What may live here: the form that anywidget asks for, around `mount`. This text stands below that of `player.js`, in
// one module.

const ENDED = "Python was restarted, or has ended. You see how things were then, and nothing can be done here any " +
  "more. Run the cell again to go on.";
const CUT = "The connection to Python is down. What you see may be out of date.";
const ENDINGS = ["restarting", "autorestarting", "terminating", "dead"];

function follow(model, el, tell) {
  // Tells what has become of Python, now and whenever it changes. JupyterLab has a kernel to ask; everywhere,
  // ipywidgets marks a view that has nobody behind it: after a restart, or if it was read from a file. Returns how to
  // stop.
  const kernel = model.widget_manager?.kernel;
  let ended = false;
  const look = () => {
    ended ||= el.classList.contains("jupyter-widgets-disconnected") || ENDINGS.includes(kernel?.status)
      || !!kernel?.isDisposed;
    tell({ ended, text: ended ? ENDED : kernel && kernel.connectionStatus !== "connected" ? CUT : "" });
  };
  const signals = kernel ? [kernel.statusChanged, kernel.connectionStatusChanged, kernel.disposed] : [];
  for (const signal of signals) signal.connect(look);
  model.on("comm_live_update", look);
  look();
  return () => {
    for (const signal of signals) signal.disconnect(look);
    model.off("comm_live_update", look);
  };
}

export default () => {
  let store;
  return {
    initialize({ model }) {
      store = new Store(model.get("packed"));
      // One store for all views of a model: each message changes it once, before any view hears of it.
      model.on("msg:custom", (message) => {
        if (!message.frames) return;
        // A message may have been lost while the page was loaded or the connection was down.
        if (message.from > store.frames.length || message.first !== store.lines.length) model.send({ all: true });
        else store.add(message, message.from);
        model.set("at", message.at);
      });
      model.on("change:packed", () => store.replace(model.get("packed")));
    },
    render({ model, el }) {
      const root = element("div");
      el.append(root);
      const keep = (name) => (value) => {
        model.set(name, value);
        if (player.send) model.save_changes();  // JupyterLab complains of each message to a kernel that has ended
      };
      const send = (message) => model.send(message);
      const options = Object.fromEntries(["title", "demo", "speed", "at"].map((name) => [name, model.get(name)]));
      const player = mount(root, { ...options, store, onAt: keep("at"), onSpeed: keep("speed"), send });
      const heard = (message) => {
        if (message.frames) player.show(message.at, true);
        player.answered(message);
      };
      const moved = () => { if (model.get("at") !== player.at) player.show(model.get("at"), true); };
      const hastened = () => player.setSpeed(model.get("speed"));
      const renamed = () => root.setAttribute("aria-label", model.get("title"));
      const renewed = () => player.show(model.get("at"), false);
      const leave = follow(model, el, (fate) => player.behind(fate));
      model.on("msg:custom", heard);
      model.on("change:at", moved);
      model.on("change:packed", renewed);
      model.on("change:title", renamed);
      model.on("change:speed", hastened);
      return () => {
        leave();
        model.off("msg:custom", heard);
        model.off("change:at", moved);
        model.off("change:packed", renewed);
        model.off("change:title", renamed);
        model.off("change:speed", hastened);
        player.close();
      };
    },
  };
};
