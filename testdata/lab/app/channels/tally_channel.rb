# For the fault tests: records every run of its action when the run begins.
class TallyChannel < ApplicationCable::Channel
  def subscribed
    super
    stream_from params[:s]
  end

  def add(data)
    record "add #{data["n"]}"
    sleep data["s"].to_f
    transmit({ added: data["n"] })
  end
end
