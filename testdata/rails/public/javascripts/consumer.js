import { createConsumer } from "./actioncable.js"

const consumer = createConsumer()

// A page that the browser keeps for its back button must not stay in the room.
addEventListener("pagehide", () => consumer.disconnect())
addEventListener("pageshow", ({ persisted }) => persisted && consumer.connect())

export default consumer
