class SessionsController < ApplicationController
  skip_before_action :require_sign_in, only: %i[ new create ]

  def new
    @user = User.new
  end

  def create
    @user = User.find_or_create_by(name: params.require(:user)[:name].to_s.strip)

    if @user.persisted?
      reset_session
      session[:user_id] = @user.id
      redirect_to root_path
    else
      render :new, status: :unprocessable_entity
    end
  end

  def destroy
    ActionCable.server.remote_connections.where(current_user: current_user).disconnect
    reset_session
    redirect_to new_session_path
  end
end
