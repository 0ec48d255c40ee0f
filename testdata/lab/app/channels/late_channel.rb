# Does things after its action has returned, from a thread of its own.
class LateChannel < ApplicationCable::Channel
  def say(data)
    later(data) { transmit({ late: data["n"] }) }
  end

  def follow(data)
    later(data) { stream_from data["stream"] }
  end

  private
    def later(data)
      Thread.new do
        sleep data["s"].to_f
        yield
      end
    end
end
