Rails.application.routes.draw do
  get "up" => "lab#up"
  get "events" => "lab#events"
  delete "events" => "lab#clear_events"
  post "broadcast" => "lab#broadcast"
  post "broadcast_to" => "lab#broadcast_to"
  post "trigger" => "lab#trigger"
  post "disconnect" => "lab#disconnect"
  post "restart" => "lab#restart"
  get "statistics" => "lab#statistics"
  get "signed_name" => "lab#signed_name"
  get "pages/:name" => "pages#show"
  get "turbo.js" => "pages#turbo"
end
