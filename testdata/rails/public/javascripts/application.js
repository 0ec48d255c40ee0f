import "./room.js"
import "./notifications.js"
import "./word_count.js"
