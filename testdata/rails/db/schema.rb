ActiveRecord::Schema.define(version: 2026_01_01_000000) do
  create_table "users", force: :cascade do |t|
    t.string "name", null: false
    t.datetime "created_at", null: false
    t.index [ "name" ], name: "index_users_on_name", unique: true
  end

  create_table "rooms", force: :cascade do |t|
    t.string "name", null: false
    t.datetime "created_at", null: false
    t.index [ "name" ], name: "index_rooms_on_name", unique: true
  end

  create_table "messages", force: :cascade do |t|
    t.integer "room_id", null: false
    t.integer "user_id", null: false
    t.text "body", null: false
    t.datetime "created_at", null: false
    t.index [ "room_id" ], name: "index_messages_on_room_id"
  end

  create_table "notifications", force: :cascade do |t|
    t.integer "user_id", null: false
    t.integer "message_id", null: false
    t.datetime "read_at"
    t.datetime "created_at", null: false
    t.index [ "user_id" ], name: "index_notifications_on_user_id"
  end
end
