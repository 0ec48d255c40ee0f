const status = document.getElementById("status")

export function connected() {
  show("connected")
}

export function disconnected({ willAttemptReconnect }) {
  show(willAttemptReconnect ? "reconnecting" : "disconnected")
}

function show(state) {
  status.dataset.state = state
  status.textContent = state
  parent.postMessage({ state }, location.origin) // in a frame of the demo's page
}
