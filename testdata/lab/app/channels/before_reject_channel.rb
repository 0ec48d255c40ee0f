class BeforeRejectChannel < ApplicationCable::Channel
  before_subscribe { reject }
end
