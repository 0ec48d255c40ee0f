# Lets tests control the application over HTTP. Parameters are JSON in the body.
class LabController < ActionController::API
  # sleep: seconds.
  def up
    sleep params[:sleep].to_f
    render plain: "Rails #{Rails.version}"
  end

  # As the parallel gem or a PDF generator does.
  def fork_child
    Process.wait fork { exit }
    head :no_content
  end

  def address
    render json: Address.of(request)
  end

  # State that earlier code has left on this thread.
  def leftovers
    render json: Leftovers.found
  end

  def leave
    Leftovers.leave "web"
    head :no_content
  end

  # The counts of HeadcountChannel in this process.
  def headcount
    render json: HeadcountChannel::PRESENT.keys.to_h { |room| [room, HeadcountChannel::PRESENT[room]] }
  end

  def events
    render json: Rails.configuration.event_log.to_a(params[:user])
  end

  def clear_events
    Rails.configuration.event_log.clear
    head :no_content
  end

  # stream, message; raw: the message is text and is published unchanged; others: the page that makes
  # the request does not get it.
  def broadcast
    body = JSON.parse(request.raw_post)
    broadcast = -> { ActionCable.server.broadcast body["stream"], body["message"], **(body["raw"] ? { coder: nil } : {}) }
    body["others"] ? Catenary.except(request, &broadcast) : broadcast.call
    head :no_content
  end

  # stream, count: broadcasts the numbers from 0.
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

  # topic, object: for GraphqlChannel. Answers with the process id.
  def trigger
    body = JSON.parse(request.raw_post)
    LiveQueries.trigger body["topic"], body["object"]
    render plain: Process.pid.to_s
  end

  # uid, tenant; as of Rails 7.1 also reconnect.
  def disconnect
    body = JSON.parse(request.raw_post)
    options = body.key?("reconnect") ? { reconnect: body["reconnect"] } : {}
    ActionCable.server.remote_connections.where(user: User.new(body["uid"]), tenant: body["tenant"]).disconnect(**options)
    head :no_content
  end

  # id: the members with this id no longer exist.
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

  # name; as of Rails 7.1 also expires_in, in seconds.
  def signed_name
    options = params[:expires_in] ? { expires_in: params[:expires_in].to_f } : {}
    render plain: SignedStream.sign(params[:name], **options)
  end
end
