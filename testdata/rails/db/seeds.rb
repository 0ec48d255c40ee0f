%w[ Lobby Kitchen Workshop ].each do |name|
  Room.find_or_create_by!(name: name)
end
