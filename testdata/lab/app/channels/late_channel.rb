# Acts after its action has returned, from a thread.
class LateChannel < ApplicationCable::Channel
  def say(data)
    later(data) { transmit({ late: data["n"] }) }
  end

  def count(data)
    later(data) do
      data["n"].times do |n|
        transmit({ late: n })
        sleep data["pause"].to_f
      end
    end
    sleep data["sleep"].to_f
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
