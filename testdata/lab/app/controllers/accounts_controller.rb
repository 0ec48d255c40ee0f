# A page that signs in for a token and connects with it.
class AccountsController < ActionController::API
  CLIENT = Rails.root.join("../npm/node_modules/@rails/actioncable/app/assets/javascripts/actioncable.esm.js")
  PAGE = Rails.root.join("app/assets/account.html")

  def show
    send_file PAGE, type: "text/html", disposition: "inline"
  end

  def client
    send_file CLIENT, type: "text/javascript", disposition: "inline"
  end

  # uid; seconds until the token expires.
  def sign_in
    body = JSON.parse(request.raw_post)
    render json: { token: SignIn.issue(body["uid"], body["seconds"]) }
  end

  def refresh
    body = JSON.parse(request.raw_post)
    token = SignIn.refresh(body["uid"], 3600)
    token ? render(json: { token: token }) : head(:unauthorized)
  end

  def sign_out
    user = User.new(JSON.parse(request.raw_post)["uid"])
    SignIn.sign_out(user.id)
    ActionCable.server.remote_connections.where(user: user, tenant: nil).disconnect
    head :no_content
  end
end
