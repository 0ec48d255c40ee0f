# Remembers between commands, as applications do: a number, a record, notes of the requested size,
# and a value computed from the connection.
class CounterChannel < ApplicationCable::Channel
  def subscribed
    super
    @owner = User.new(params[:owner] || 1)
    @count = 0
    @notes = "n" * params[:notes].to_i
    @greeting ||= "hello #{tenant}"
  end

  def increment
    @count += 1
    transmit({ count: @count, owner: @owner.id, greeting: @greeting })
  end
end
