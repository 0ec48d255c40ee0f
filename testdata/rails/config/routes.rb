Rails.application.routes.draw do
  root "rooms#index"

  resource :session, only: %i[ new create destroy ]
  resources :rooms, only: %i[ index show ]
end
