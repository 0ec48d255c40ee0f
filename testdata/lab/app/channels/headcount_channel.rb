# Counts its subscribers in the memory of the process, as some applications do.
class HeadcountChannel < ApplicationCable::Channel
  PRESENT = Concurrent::Map.new

  def subscribed
    super
    count 1
  end

  def unsubscribed
    super
    count(-1)
  end

  private
    def count(by)
      PRESENT.compute(params[:room].to_s) { |present| (present || 0) + by }
    end
end
