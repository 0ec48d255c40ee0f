# Streams whose messages need Ruby: with a block, a coder or a method.
class CbChannel < ApplicationCable::Channel
  def subscribed
    super
    stream_from("#{params[:p]}cb_raw") { |payload| transmit({ raw: payload }) }
    stream_from("#{params[:p]}cb_json", coder: ActiveSupport::JSON) { |message| transmit({ json: message }) }
    stream_from("#{params[:p]}cb_fail") { |_payload| raise "a stream callback failed, as asked" }
    stream_from("#{params[:p]}cb_method", method(:received))
  end

  private
    def received(payload)
      transmit({ method: payload })
    end
end
