import { createConsumer } from "./actioncable.js"

const consumer = createConsumer()

// A page in the back/forward cache must not stay in the room.
addEventListener("pagehide", () => consumer.disconnect())
addEventListener("pageshow", ({ persisted }) => persisted && consumer.connect())

export default consumer
