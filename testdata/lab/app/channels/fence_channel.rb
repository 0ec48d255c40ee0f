# Its answer tells a test that everything before it has been answered too. Unlike the other channels
# it records nothing.
class FenceChannel < ActionCable::Channel::Base
  def echo(data)
    transmit data
  end
end
