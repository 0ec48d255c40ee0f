# What a test makes the application do, over plain HTTP. Parameters come as JSON.
class LabController < ActionController::API
  # sleep: seconds.
  def up
    sleep params[:sleep].to_f
    render plain: "Rails #{Rails.version}"
  end

  # As the gem parallel or a PDF maker does.
  def fork_child
    Process.wait fork { exit }
    head :no_content
  end

  def address
    render json: Address.of(request)
  end

  # What is left on this thread.
  def leftovers
    render json: Leftovers.found
  end

  def leave
    Leftovers.leave "web"
    head :no_content
  end

  # Of HeadcountChannel, in this process.
  def headcount
    render json: HeadcountChannel::PRESENT.keys.to_h { |room| [room, HeadcountChannel::PRESENT[room]] }
  end

  def events
    render json: Rails.configuration.event_log.to_a
  end

  def clear_events
    Rails.configuration.event_log.clear
    head :no_content
  end

  # stream, message; with raw the message is text that is published as it is.
  def broadcast
    body = JSON.parse(request.raw_post)
    ActionCable.server.broadcast body["stream"], body["message"], **(body["raw"] ? { coder: nil } : {})
    head :no_content
  end

  # stream, count: broadcasts the numbers from nothing on.
  def broadcasts
    body = JSON.parse(request.raw_post)
    body["count"].times { |n| ActionCable.server.broadcast body["stream"], n }
    head :no_content
  end

  # id, message: for ModelChannel.
  def broadcast_to
    body = JSON.parse(request.raw_post)
    ModelChannel.broadcast_to User.new(body["id"]), body["message"]
    head :no_content
  end

  # topic, object: for GraphqlChannel. Answers with the process that published.
  def trigger
    body = JSON.parse(request.raw_post)
    LiveQueries.trigger body["topic"], body["object"]
    render plain: Process.pid.to_s
  end

  # uid, tenant; from Rails 7.1 also reconnect.
  def disconnect
    body = JSON.parse(request.raw_post)
    options = body.key?("reconnect") ? { reconnect: body["reconnect"] } : {}
    ActionCable.server.remote_connections.where(user: User.new(body["uid"]), tenant: body["tenant"]).disconnect(**options)
    head :no_content
  end

  # id: of the members that are gone from now on.
  def dismiss
    Member.gone << JSON.parse(request.raw_post)["id"].to_s
    head :no_content
  end

  def restart
    ActionCable.server.restart
    head :no_content
  end

  def statistics
    render json: ActionCable.server.open_connections_statistics
  end

  # name; from Rails 7.1 seconds of validity as expires_in.
  def signed_name
    options = params[:expires_in] ? { expires_in: params[:expires_in].to_f } : {}
    render plain: SignedStream.sign(params[:name], **options)
  end
end
